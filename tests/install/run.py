#!/usr/bin/env python3
"""Installs the build folder QTOOL_BINARY_DIR into a temporary prefix, then builds and runs a project that uses the package."""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

here = Path(__file__).resolve().parent
cmake = os.environ.get('CMAKE', 'cmake')


def run(*command):
    print('$', *command, flush=True)
    subprocess.run(list(map(str, command)), check=True)


with tempfile.TemporaryDirectory() as folder:
    prefix, build = Path(folder) / 'prefix', Path(folder) / 'build'
    run(cmake, '--install', os.environ['QTOOL_BINARY_DIR'], '--prefix', prefix)
    run(cmake, '-S', here, '-B', build, '-G', 'Ninja', '-DCMAKE_BUILD_TYPE=Release', f'-DCMAKE_PREFIX_PATH={prefix}')
    run(cmake, '--build', build)
    model = here.parents[1] / 'models' / 'digits.onnx'
    run(build / 'consumer', model)
    if (prefix / 'bin' / 'qtool').exists():
        run(prefix / 'bin' / 'qtool', '--help')
sys.exit(0)
