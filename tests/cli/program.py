"""The program on the bundled model, for transcripts: it is named by $QTOOL. Standard library only."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
QTOOL = os.path.abspath(os.environ.get('QTOOL') or 'qtool')
MODEL = ROOT / 'models' / 'digits.onnx'
CALIB = ROOT / 'calibration' / 'unlabeled.npz'
TEST = ROOT / 'calibration' / 'test.npz'


def clean_environment(**more):
    env = {k: v for k, v in os.environ.items() if not k.startswith('QTOOL')}
    return {**env, **more}


def run(*arguments, cwd=None, env=None, timeout=120):
    return subprocess.run([QTOOL, *map(str, arguments)], cwd=cwd, env=env or clean_environment(), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, check=False, text=True)


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def ok(self, *arguments, **kw):
        r = run(*arguments, cwd=kw.pop('cwd', self.dir), **kw)
        self.assertEqual(r.returncode, 0, f'{arguments}\n{r.stdout[-500:]}\n{r.stderr[-2000:]}')
        self.assertNotIn('\x1b', r.stdout + r.stderr)
        return r

    def json(self, *arguments, keys=(), **kw):
        value = json.loads(self.ok(*arguments, '--json', **kw).stdout)
        self.assertEqual(value['schema'], f'qtool.{arguments[0]}/1')
        for key in keys:
            self.assertIn(key, value)
        return value

    def fails(self, code, *arguments, says='', **kw):
        r = run(*arguments, cwd=kw.pop('cwd', self.dir), **kw)
        self.assertEqual(r.returncode, code, f'{arguments}\n{r.stdout[-500:]}\n{r.stderr[-2000:]}')
        self.assertIn(says, r.stderr)
        self.assertTrue(r.stderr.strip())
        return r
