#!/usr/bin/env bash
# Sets up, builds qtool and quantizes the bundled digit model to 4.5 bits: calibrate, search, quantize, eval.
# usage: tools/quickstart.sh        the workspace and the result go into build/quickstart
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/build.sh
build_release qtool_cli

export PATH="$PWD/build/release:$PATH"
rm -rf build/quickstart
mkdir -p build/quickstart
cd build/quickstart

step() {  # step NAME ARGUMENTS...: runs `qtool NAME ARGUMENTS...`, its result goes into NAME.json
  printf '\n$ qtool %s\n' "$*" >&2
  qtool "$@" --json >"$1.json" || { local code=$?; cat "$1.json" >&2; return $code; }
}
step inspect   ../../models/digits.onnx
step calibrate ../../models/digits.onnx ../../calibration/unlabeled.npz
step search    --budget 4.5bits
step quantize  -o digits.q.onnx
step eval      digits.q.onnx ../../calibration/test.npz

python3 - <<'PY'
import json, os

def result(step):
    with open(f'{step}.json') as f:
        return json.load(f)

model, calibrate, search, quantize, evaluation = map(
    result, ('inspect', 'calibrate', 'search', 'quantize', 'eval'))
before, after = os.path.getsize('../../models/digits.onnx'), os.path.getsize('digits.q.onnx')
reference = evaluation.get('reference', {})
rows = [
    ('model', f"digits.onnx, {model['model']['parameters']:,} parameters, {len(model['layers'])} layers"),
    ('calibration', f"{calibrate['samples']} unlabeled pictures, {calibrate['seconds']:.1f} s"),
    ('search', f"{search['mean_weight_bits']:.2f} bits a weight within 4.5, {search['seconds']:.1f} s"),
    ('file', f"{before / 1e3:.0f} kB -> {after / 1e3:.0f} kB, {len(quantize['float_layers'])} layers left in float"),
    ('top-1', f"{100 * evaluation['top1']:.2f} % of {evaluation['samples']} test pictures"
              + (f", float {100 * reference['top1']:.2f} %" if 'top1' in reference else '')),
    ('agreement', f"{100 * evaluation['agreement']:.2f} % same answer as the float model, "
                  f"{evaluation['integer_layers']} layers on integer kernels"),
]
print('\nQuantized the bundled digit model\n')
for name, text in rows:
    print(f'  {name:<12} {text}')
bits = ', '.join(f"{p['name']} {p['weight_bits']}" for p in search['plan'] if 'weight_bits' in p)
print(f'  bits         {bits[:400]}\n\nResult: build/quickstart/digits.q.onnx')
PY
