"""The stages one by one, and all of them together."""
import json
import os
import shutil
import subprocess
import unittest

from program import CALIB, Case, clean_environment, MODEL, TEST

# The scores that eval saved against onnxruntime's: at most ties differ, by a code.
RUN_IN_ONNXRUNTIME = """
import sys, numpy as np, onnxruntime as ort
x = np.load(sys.argv[2])['x'][:200].transpose(0, 3, 1, 2).astype(np.float32)
x = (x * np.float32(1 / 255) - np.float32(0.1307)) / np.float32(0.3081)
session = ort.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])
want = session.run(None, {session.get_inputs()[0].name: x})[0]
have = next(iter(np.load(sys.argv[3]).values()))
off = np.abs(want - have) / np.abs(want).max()
sys.exit(f'{off.max()} {off.mean()}' if off.max() > 0.05 or off.mean() > 1e-3 else 0)
"""


class Stages(Case):
    def test_inspect(self):
        found = self.json('inspect', MODEL, keys=['model', 'layers'])
        for key in ('path', 'sha256', 'ir_version', 'opset', 'inputs', 'outputs', 'parameters', 'macs'):
            self.assertIn(key, found['model'])
        for key in ('name', 'op', 'macs', 'weights', 'quantizable', 'reason'):
            self.assertIn(key, found['layers'][0])
        self.assertGreater(found['model']['macs'], 0)
        text = self.ok('inspect', MODEL).stdout
        for layer in found['layers']:
            self.assertIn(layer['name'], text)

    def test_the_main_job(self):
        calibrated = self.json('calibrate', MODEL, CALIB, keys=['samples', 'seconds', 'samples_per_second', 'peak_rss_bytes', 'tensors'])
        self.assertGreater(calibrated["samples"], 10)
        for key in ('name', 'min', 'max'):
            self.assertIn(key, calibrated['tensors'][0])
        searched = self.json('search', '--budget', '4.5bits',
                             keys=['plan', 'mean_weight_bits', 'mean_activation_bits', 'bpw', 'size_bytes', 'bops', 'loss', 'bound', 'gap', 'predicted', 'measured', 'pareto',
                                   'seconds', 'peak_rss_bytes'])
        self.assertLessEqual(searched['mean_weight_bits'], 4.5)
        self.assertLessEqual(searched['bound'], searched['loss'] * (1 + 1e-9))
        self.assertEqual(searched['verification']['plans'], 16)
        self.assertGreater(searched['verification']['spearman'], 0.5)
        quantized = self.json('quantize', '-o', 'q.onnx',
                              keys=['output', 'size_bytes', 'mean_weight_bits', 'bpw', 'layers', 'float_layers', 'fused_prediction', 'seconds', 'peak_rss_bytes'])
        self.assertEqual(quantized['size_bytes'], (self.dir / 'q.onnx').stat().st_size)
        self.assertAlmostEqual(quantized['mean_weight_bits'], searched['mean_weight_bits'], 6)
        result = self.json('eval', 'q.onnx', TEST,
                           keys=['samples', 'top1', 'top5', 'reference', 'agreement', 'agreement_ci', 'sqnr_db', 'kernels', 'integer_layers', 'float_layers', 'samples_per_second',
                                 'peak_rss_bytes'])
        self.assertGreater(result['top1'], 0.95)
        self.assertGreater(result['reference']['top1'], 0.98)
        self.assertGreater(result['integer_layers'], 0)
        text = self.ok('eval').stdout  # the workspace's model and its sidecar's test set
        self.assertIn(f"{100 * result['top1']:.2f} %", text)
        self.assertIn(f"{100 * result['agreement']:.2f} %", text)
        self.report()
        self.gates(result)

    def report(self):
        report = self.json('report', '-o', 'report.html')
        self.assertEqual(report['evaluation']['schema'], 'qtool.eval/1')
        page = (self.dir / 'report.html').read_text()
        self.assertNotIn('<script', page)
        self.assertIn('</html>', page)

    def gates(self, result):
        (self.dir / 'before.json').write_text(json.dumps(result))
        self.ok('eval', 'q.onnx', TEST, '--min-top1', '95%', '--max-drop', '5%', '--min-agreement', '0.9', '--min-sqnr', '1', '--max-size', '1MB', '--baseline', 'before.json')
        self.fails(6, 'eval', 'q.onnx', TEST, '--min-top1', '100%', says='--min-top1')
        r = self.fails(6, 'eval', 'q.onnx', TEST, '--min-sqnr', '200', '--max-size', '1kB', '--json', says='--min-sqnr')
        self.assertIn('--max-size', r.stderr)
        self.assertEqual([g['passed'] for g in json.loads(r.stdout)['gates']], [False, False])
        result['top1'] = 1.0
        (self.dir / 'before.json').write_text(json.dumps(result))
        self.fails(6, 'eval', 'q.onnx', TEST, '--baseline', 'before.json', says='baseline top1')
        self.fails(2, 'eval', 'q.onnx', TEST, '--min-top1', '200%', says='98%')
        self.fails(2, 'eval', 'q.onnx', CALIB, '--min-top1', '50%', says='labelled')

    def test_integers_alone(self):
        self.ok('calibrate', MODEL, CALIB, '--limit', '100')
        self.ok('quantize', '--uniform', 'w8a8', '-o', 'q.onnx')
        result = self.json('eval', 'q.onnx', TEST, '--kernels', 'integer-only', '--save-outputs', 'pairs.npz', keys=['integer_only'])
        self.assertGreater(result['top1'], 0.97)
        self.assertEqual((result['kernels'], result['float_layers']), ('integer-only', []))
        sums = result['integer_only']
        self.assertLess(sums['different'], 0.01 * sums['codes'])
        for layer in sums['accumulators']:
            self.assertLessEqual(layer['bits'], layer['bound_bits'])
            self.assertLessEqual(layer['bound_bits'], 32)
        self.assertIn('codes differ from those of float scales', self.ok('eval', 'q.onnx', TEST, '--kernels', 'integer-only').stdout)
        self.ok('quantize', '--uniform', 'w8a8', '-o', 'integers.onnx', '--export', 'integer')
        self.ok('eval', 'integers.onnx', TEST, '--save-outputs', 'integers.npz')
        self.assertEqual((self.dir / 'pairs.npz').read_bytes(), (self.dir / 'integers.npz').read_bytes())
        self.ok('quantize', '--uniform', 'w8', '-o', 'weights.onnx')
        self.fails(3, 'eval', 'weights.onnx', TEST, '--kernels', 'integer-only', says='QT-E355')
        self.fails(3, 'quantize', '--uniform', 'w8', '-o', 'no.onnx', '--export', 'integer', says='QT-E355')

    def test_activations_find_their_ranges_at_run_time(self):
        self.ok('calibrate', MODEL, CALIB, '--limit', '50')
        for mode in ('dynamic', 'token', 'hybrid'):
            self.ok('quantize', '--uniform', 'w8a8', '--activation-mode', mode, '-o', 'q.onnx')
            self.assertGreater(self.json('eval', 'q.onnx', TEST)['top1'], 0.97)
        self.ok('quantize', '--uniform', 'w8a8', '--keep', 'last=w8a8:token', '-o', 'q.onnx')
        modes = [layer.get('activation_mode', 'static') for layer in json.loads((self.dir / '.qtool' / 'plan.json').read_text())['layers']]
        self.assertEqual(set(modes), {'static', 'token'})
        self.assertEqual(modes[-1], 'token')
        searched = self.json('search', '--budget', '4bits', '--activation-mode', 'token')
        self.assertLessEqual(searched['mean_weight_bits'], 4)
        self.ok('quantize', '-o', 'q.onnx')
        self.assertGreater(self.json('eval', 'q.onnx', TEST)['top1'], 0.95)
        self.json('search', '--budget', '5bits', '--activation-mode', 'hybrid')
        self.ok('quantize', '-o', 'q.onnx')
        self.assertGreater(self.json('eval', 'q.onnx', TEST)['top1'], 0.95)
        modes = {layer.get('activation_mode', 'static') for layer in json.loads((self.dir / '.qtool' / 'plan.json').read_text())['layers']}
        self.assertIn('dynamic', modes)
        self.fails(2, 'search', '--budget', '5bits,act=8bits', '--activation-mode', 'hybrid', says='QT-E125')
        self.fails(2, 'search', '--uniform', 'w8a4:token', says='8')

    def test_every_filter_gets_its_own_width(self):
        self.ok('calibrate', MODEL, CALIB, '--limit', '100')
        searched = self.json('search', '--budget', '3bits', '--granularity', 'filter')
        self.assertLessEqual(searched['mean_weight_bits'], 3)
        self.assertGreater(searched['mean_weight_bits'], 2.98)
        self.assertTrue(any(isinstance(layer['weight_bits'], list) and len(set(layer['weight_bits'])) > 1 for layer in searched['plan']))
        quantized = self.json('quantize', '-o', 'q.onnx')
        self.assertAlmostEqual(quantized['mean_weight_bits'], searched['mean_weight_bits'], 6)
        self.assertGreater(self.json('eval', 'q.onnx', TEST)['top1'], 0.95)
        path = self.dir / '.qtool' / 'plan.json'
        plan = json.loads(path.read_text())
        plan['layers'][0]['weight_bits'] = [8]
        path.write_text(json.dumps(plan))
        self.fails(2, 'quantize', '-o', 'q.onnx', says='channels')

    def test_filters_may_be_pruned_and_files_hold_their_limit(self):
        self.ok('calibrate', MODEL, CALIB, '--limit', '100')
        self.fails(2, 'search', '--budget', '3bits', '--weights', '0,2,4', says='granularity filter')
        self.fails(2, 'search', '--budget', '3bits', '--granularity', 'filter', '--weights', '0', says='leave no network')
        pruned = self.json('search', '--budget', '1.8bits', '--granularity', 'filter', '--weights', '0,2,4,8')
        self.assertTrue(any(0 in layer['weight_bits'] for layer in pruned['plan']))
        self.ok('quantize', '-o', 'q.onnx')
        self.assertGreater(self.json('eval', 'q.onnx', TEST)['top1'], 0.5)
        for style in ('packed', 'split'):
            searched = self.json('search', '--budget', '18%size', '--granularity', 'filter', '--export', style)
            quantized = self.json('quantize', '-o', 'q.onnx')
            self.assertLessEqual(quantized['stored_bytes'], searched['size_bytes'])
        self.fails(5, 'quantize', '-o', 'q.onnx', '--export', 'qdq', says='QT-E504')
        # A file of plain pairs has a byte a code; without --export a limit counts codes in their own width.
        self.fails(5, 'search', '--budget', '18%size', '--export', 'qdq', says='no plan')
        plain = self.json('search', '--budget', '30%size', '--export', 'qdq')
        self.assertLessEqual(self.json('quantize', '-o', 'q.onnx')['stored_bytes'], plain['size_bytes'])
        limited = self.ok('search', '--budget', '18%size')
        self.assertIn('--export packed', limited.stderr)

    @unittest.skipUnless(shutil.which(os.environ.get('QTOOL_PYTHON', '')), 'QTOOL_PYTHON names no Python')
    def test_a_pruned_model_runs_alike_in_onnxruntime(self):
        python = os.environ['QTOOL_PYTHON']
        if subprocess.run([python, '-c', 'import onnxruntime'], check=False, stderr=subprocess.DEVNULL).returncode:
            self.skipTest('no onnxruntime')
        self.ok('calibrate', MODEL, CALIB, '--limit', '100')
        self.ok('search', '--budget', '1.8bits', '--granularity', 'filter', '--weights', '0,2,4,8')
        for style in ('qdq', 'packed', 'split'):
            self.ok('quantize', '-o', 'q.onnx', '--export', style)
            self.ok('eval', 'q.onnx', TEST, '--limit', '200', '--save-outputs', 'out.npz')
            r = subprocess.run([python, '-c', RUN_IN_ONNXRUNTIME, 'q.onnx', str(TEST), 'out.npz'], cwd=self.dir, check=False,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            self.assertEqual(r.returncode, 0, f'{style}: {r.stdout}')

    def test_a_frontier_answers_every_budget(self):
        self.ok('calibrate', MODEL, CALIB, '--limit', '50')
        points = self.json('search', '--budget', '4bits', '--pareto', 'frontier.csv')['pareto']
        lines = (self.dir / 'frontier.csv').read_text().splitlines()
        self.assertEqual(len(lines), len(points) + 1)
        self.assertIn('*', self.ok('search', '--budget', '4bits', '--pareto', 'frontier.svg').stdout)
        self.assertIn('<polyline', (self.dir / 'frontier.svg').read_text())
        self.fails(2, 'search', '--budget', '4bits', '--pareto', 'frontier.png', says='.svg')

    def test_a_quality_floor_finds_the_cheapest_plan(self):
        self.ok('calibrate', MODEL, CALIB, '--limit', '100')
        floors = [self.json('search', '--budget', budget) for budget in ('sqnr=10dB', 'sqnr=25dB')]
        self.assertGreaterEqual(floors[0]['measured']['sqnr_db'], 10)
        self.assertGreaterEqual(floors[1]['measured']['sqnr_db'], 25)
        self.assertLess(floors[0]['mean_weight_bits'], floors[1]['mean_weight_bits'])
        limited = self.json('search', '--budget', 'drop=1%,5bits')
        self.assertLessEqual(limited['mean_weight_bits'], 5)
        self.assertLessEqual(limited['measured']['expected_drop'], 0.01)
        self.fails(5, 'search', '--budget', 'sqnr=90dB', says='SQNR')

    def test_auto_is_the_same_job(self):
        result = self.json('auto', MODEL, CALIB, '--budget', '4.5bits', '-o', 'auto.onnx', '--test', TEST, '-w', 'ws', keys=['calibrate', 'search', 'quantize', 'eval'])
        self.assertGreater(result['eval']['top1'], 0.95)
        self.ok('calibrate', MODEL, CALIB)
        self.ok('search', '--budget', '4.5bits')
        self.ok('quantize', '-o', 'q.onnx')
        self.assertEqual((self.dir / 'q.onnx').read_bytes(), (self.dir / 'auto.onnx').read_bytes())
        self.fails(6, 'auto', MODEL, CALIB, '-o', 'auto8.onnx', '--min-agreement', '100%', '--max-size', '1kB', says='--max-size')

    def test_bytes_depend_on_no_thread_count(self):
        files = []
        for threads in (1, 2, 1):
            work = self.dir / f'{len(files)}'
            work.mkdir()
            self.ok('calibrate', MODEL, CALIB, '--threads', threads, '--limit', '100', cwd=work)
            self.ok('search', '--budget', '4.5bits', '--threads', threads, cwd=work)
            self.ok('quantize', '-o', 'q.onnx', '--threads', threads, cwd=work)
            files.append([(work / name).read_bytes() for name in ('.qtool/plan.json', '.qtool/calibration.json', '.qtool/scores.json', 'q.onnx')])
        self.assertEqual(files[0], files[1])
        self.assertEqual(files[0], files[2])

    def test_a_plan_can_be_edited_and_is_kept(self):
        self.ok('calibrate', MODEL, CALIB, '--limit', '50')
        self.ok('search', '--uniform', 'w8a8')
        path = self.dir / '.qtool' / 'plan.json'
        plan = json.loads(path.read_text())
        plan['layers'][0]['weight_bits'] = 4
        path.write_text(json.dumps(plan))
        quantized = self.json('quantize', '-o', 'q.onnx')
        self.assertEqual(sorted({layer['weight_bits'] for layer in quantized['layers']}), [4, 8])
        self.fails(2, 'quantize', '-o', 'q.onnx', '--keep', 'first=w8a8', says='--keep')
        plan['layers'][0]['weight_bitts'] = 4
        path.write_text(json.dumps(plan))
        self.fails(2, 'quantize', '-o', 'q.onnx', says='weight_bits')

    def test_bench(self):
        result = self.json('bench', MODEL, '--batch', '4', '--threads', '2', '--kernels', 'float', '--seconds', '0.05',
                           keys=['batch', 'threads', 'kernels', 'samples_per_second', 'latency_ms', 'layers'])
        self.assertEqual((result['batch'], result['threads'], result['kernels'], result['random_data']), (4, 2, 'float', True))
        for key in ('name', 'op', 'ms', 'kernel'):
            self.assertIn(key, result['layers'][0])
        self.assertGreater(result['latency_ms']['median'], 0)
        self.assertIn('samples/s', self.ok('bench', MODEL, CALIB, '--seconds', '0.05').stdout)
        self.fails(2, 'bench', MODEL, '--seconds', '0.05', '--compare', 'onnxruntime', says='QTOOL_PYTHON', env=clean_environment(QTOOL_PYTHON='/bin/false'))
        self.fails(2, 'bench', MODEL, '--compare', 'tensorflow', says='--compare')

    def test_compare(self):
        same = self.json('compare', MODEL, MODEL, CALIB, '--limit', '4', keys=['tensors', 'first_divergence'])
        self.assertIsNone(same['first_divergence'])
        self.assertTrue(same['tensors'])
        self.ok('auto', MODEL, CALIB, '--limit', '20', '--uniform', 'w2a4', '-o', 'q.onnx')
        other = self.json('compare', MODEL, 'q.onnx', CALIB, '--limit', '4')
        self.assertIsNotNone(other['first_divergence'])

    def test_random_data_is_said(self):
        result = self.json('calibrate', MODEL, '--random-data', '4')
        self.assertTrue(result['random_data'])
        self.ok('quantize', '-o', 'q.onnx')
        self.assertIn('random data', self.ok('eval').stdout)

    def test_dry_run_writes_nothing(self):
        self.json('calibrate', MODEL, CALIB, '--dry-run', keys=['dry_run', 'steps'])
        self.ok('auto', MODEL, CALIB, '--budget', '4bits', '-o', 'q.onnx', '--dry-run')
        self.assertEqual(list(self.dir.iterdir()), [])

    def test_save_outputs(self):
        self.ok('auto', MODEL, CALIB, '--limit', '20', '-o', 'q.onnx')
        self.ok('eval', 'q.onnx', TEST, '--limit', '10', '--save-outputs', 'out.npz')
        self.assertTrue((self.dir / 'out.npz').read_bytes().startswith(b'PK'))


class Narrow(Case):
    def test_one_file_has_every_width(self):
        self.ok('auto', MODEL, CALIB, '--limit', '40', '--uniform', 'w5a8', '--format', 'nested', '-o', 'net.onnx')
        sizes, top1 = [(self.dir / 'net.onnx').stat().st_size], []
        for bits in (4, 2):
            r = self.json('narrow', 'net.onnx', '--weights', str(bits))
            self.assertEqual((r['output'], r['weight_bits']), (f'net.w{bits}.onnx', bits))
            self.assertEqual(r['size_bytes'], (self.dir / r['output']).stat().st_size)
            sizes.append(r['size_bytes'])
            top1.append(self.json('eval', r['output'], TEST, '--limit', '100', '--preprocess', MODEL.with_suffix('.json'))['top1'])
        self.assertEqual(sizes, sorted(sizes, reverse=True))
        self.assertGreater(min(top1), 0.85)
        self.fails(2, 'narrow', 'net.onnx', '--weights', '1', says='QT-E149')
        self.fails(2, 'narrow', MODEL, '--weights', '4', says='QT-E149')
