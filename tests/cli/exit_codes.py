"""What goes wrong, and with which exit code."""
import json
import os
import shutil
import signal
import stat
import subprocess
import time

from program import CALIB, Case, clean_environment, MODEL, QTOOL, run


class ExitCodes(Case):
    def test_model_errors_are_3(self):
        (self.dir / 'empty.onnx').write_bytes(b'')
        (self.dir / 'cut.onnx').write_bytes(MODEL.read_bytes()[:1000])
        for name in ('empty.onnx', 'cut.onnx', 'nowhere.onnx', '.'):
            self.fails(3, 'inspect', name, says='QT-E3')

    def test_data_errors_are_4(self):
        (self.dir / 'bad.npy').write_bytes(b'hello')
        (self.dir / 'folder').mkdir()
        for name in ('bad.npy', 'folder', 'nowhere'):
            self.fails(4, 'calibrate', MODEL, name, says='QT-E4')
        self.fails(4, 'verify', 'folder', says='no test case')

    def test_infeasible_is_5(self):
        self.ok('calibrate', MODEL, CALIB, '--limit', '20')
        self.fails(5, 'search', '--budget', '1bits', says='QT-E5')

    def test_verification_missed_is_6(self):
        (self.dir / 'cases' / 'broken').mkdir(parents=True)
        (self.dir / 'cases' / 'broken' / 'model.onnx').write_bytes(b'no model')
        r = self.fails(6, 'verify', 'cases', '--json')
        result = json.loads(r.stdout)
        self.assertEqual((result['passed'], result['failed'], result['unsupported']), (0, 1, 0))
        self.assertEqual(result['cases'][0]['status'], 'failed')

    def test_a_changed_model_is_refused(self):
        shutil.copy(MODEL, self.dir / 'm.onnx')
        shutil.copy(MODEL.with_suffix('.json'), self.dir / 'm.json')
        self.ok('calibrate', 'm.onnx', CALIB, '--limit', '8')
        data = bytearray((self.dir / 'm.onnx').read_bytes())
        data[-200] ^= 1
        (self.dir / 'm.onnx').write_bytes(data)
        self.assertIn(run('quantize', cwd=self.dir).returncode, (2, 3))

    def test_a_folder_that_takes_no_file_gets_none(self):
        self.ok('calibrate', MODEL, CALIB, '--limit', '8')
        self.fails(1, 'quantize', '-o', 'nowhere/q.onnx')
        locked = self.dir / 'locked'
        locked.mkdir()
        locked.chmod(stat.S_IRUSR | stat.S_IXUSR)
        r = run('quantize', '-o', locked / 'q.onnx', cwd=self.dir)
        if os.geteuid() != 0:  # root may write everywhere
            self.assertEqual(r.returncode, 1)
            self.assertEqual(list(locked.iterdir()), [])
        locked.chmod(stat.S_IRWXU)

    def test_the_float_model_is_never_replaced(self):
        shutil.copy(MODEL, self.dir / 'm.onnx')
        shutil.copy(MODEL.with_suffix('.json'), self.dir / 'm.json')
        self.fails(2, 'auto', 'm.onnx', CALIB, '--limit', '8', '-o', 'm.onnx')
        self.assertEqual((self.dir / 'm.onnx').read_bytes(), MODEL.read_bytes())

    def test_interruption_is_130_and_says_how_to_go_on(self):
        p = subprocess.Popen([QTOOL, 'bench', str(MODEL), '--seconds', '60'], cwd=self.dir, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(1)
        p.send_signal(signal.SIGINT)
        _, err = p.communicate(timeout=30)
        self.assertEqual(p.returncode, 130)
        self.assertIn('qtool bench', err)

    def test_a_closed_stdout_is_an_error(self):
        with open('/dev/full', 'w') as full:
            r = subprocess.run([QTOOL, 'list'], stdout=full, stderr=subprocess.PIPE, env=clean_environment(), text=True, check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn('stdout', r.stderr)
