"""How the program is called: words, flags, configuration, lists."""
import json
import signal
import subprocess
import time

from program import CALIB, Case, clean_environment, MODEL, QTOOL

COMMANDS = ['inspect', 'verify', 'calibrate', 'search', 'quantize', 'eval', 'report', 'auto', 'bench', 'compare', 'profile', 'narrow', 'list']


class Calling(Case):
    def test_version_and_help(self):
        self.assertRegex(self.ok('--version').stdout, r'^qtool \d+\.\d+\.\d+\n$')
        overview = self.ok('--help').stdout
        for command in COMMANDS:
            self.assertIn(command, overview)
            text = self.ok(command, '--help').stdout
            self.assertIn('Example', text)
            self.assertIn('--json', text)

    def test_starts_at_once(self):
        times = []
        for _ in range(5):
            begin = time.monotonic()
            self.ok('--version')
            times.append(time.monotonic() - begin)
        self.assertLess(min(times), 0.5)

    def test_unknown_words_are_usage_errors_with_a_suggestion(self):
        self.fails(2)
        self.fails(2, '--nothing')
        self.fails(2, 'calibrat', says='qtool calibrate')
        self.fails(2, 'search', '--budgett', '4bits', says='--budget')
        self.fails(2, 'list', 'rangs', says='ranges')
        self.fails(2, 'inspect')
        self.fails(2, 'inspect', MODEL, '--threads', 'many')

    def test_errors_are_json_when_asked(self):
        r = self.fails(2, 'search', '--budget', '4.5bits', '--json', says='QT-E140')
        error = json.loads(r.stdout)
        self.assertEqual(error['schema'], 'qtool.error/1')
        for key in ('code', 'message', 'context', 'hint'):
            self.assertIn(key, error)
        self.assertEqual(self.fails(2, 'search').stdout, '')

    def test_features_that_are_not_there_are_refused_by_name(self):
        self.ok('calibrate', MODEL, CALIB, '--limit', '8')
        for flags in (['--granularity', 'weight'], ['--format', 'kmean'], ['--formats', 'uniform,trinary'], ['--weight-scale', 'group:1'], ['--weight-scale', 'block:12'], ['--activation-mode', 'sometimes'],
                      ['--export', 'tflite'], ['--score', 'magic'], ['--effort', 'endless'], ['--optimizer', 'magic'], ['--target', 'npu'], ['--range', 'magic'],
                      ['--profile', 'npu.json'], ['--solver', 'oracle'], ['--budget', '4.5parsecs'], ['--uniform', 'w99a8'], ['--weights', '1,2']):
            for command in ('search', 'quantize'):
                self.fails(2, command, '--budget', '6bits', *flags, says='QT-E1')
        self.assertFalse(list(self.dir.glob('*.onnx')))

    def test_fitting_goes_on_step_by_step(self):
        self.ok('calibrate', MODEL, CALIB, '--limit', '64')
        for time_given in ('soon', '0s', '5 parsecs'):
            self.fails(2, 'quantize', '--uniform', 'w2a8', '--time', time_given, says='QT-E102')
        self.assertEqual(len(self.json('quantize', '--uniform', 'w2a8', '--time', '0.001s')['steps']), 1)
        (self.dir / '.qtool' / 'steps.npz').unlink()
        command = ['quantize', '--uniform', 'w2a8', '--steps', '3', '-o']
        steps = self.json(*command, 'whole.onnx')['steps']
        self.assertEqual([s['name'] for s in steps], ['cd', 'cyclic', 'tuning'])
        for step in steps:
            self.assertLessEqual(step['noise_after'], step['noise_before'])
        # Interrupted behind its first step, the same command ends with the same bytes.
        kept = self.dir / '.qtool' / 'steps.npz'
        kept.unlink()
        p = subprocess.Popen([QTOOL, *command, 'again.onnx'], cwd=self.dir, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while p.poll() is None and not kept.exists():
            time.sleep(0.01)
        p.send_signal(signal.SIGINT)
        _, err = p.communicate(timeout=60)
        if p.returncode:  # else it was faster than the signal
            self.assertEqual(p.returncode, 130)
            self.assertIn('qtool quantize', err)
            self.assertFalse((self.dir / 'again.onnx').exists())
        self.assertGreaterEqual(sum(s['seconds'] == 0 for s in self.json(*command, 'again.onnx')['steps']), 1)
        self.assertEqual((self.dir / 'whole.onnx').read_bytes(), (self.dir / 'again.onnx').read_bytes())

    def test_configuration_file_and_environment(self):
        config = self.dir / 'config.json'
        config.write_text('{"budget": ["6bits"], "threads": 3, "signed-activations": true, "limit": 5}')
        shown = json.loads(self.ok('search', '--config', config, '--print-config').stdout)
        self.assertEqual((shown['budget'], shown['threads'], shown['signed-activations']), ('6bits', '3', True))
        shown = json.loads(self.ok('search', '--config', config, '--print-config', env=clean_environment(QTOOL_THREADS='2')).stdout)
        self.assertEqual(shown['threads'], '2')
        shown = json.loads(self.ok('search', '--config', config, '--print-config', '--threads', '1', env=clean_environment(QTOOL_THREADS='2')).stdout)
        self.assertEqual(shown['threads'], '1')
        config.write_text('{"bugdet": "6bits"}')
        self.fails(2, 'search', '--config', config, says="did you mean 'budget'")
        config.write_text('{"budget": ')
        self.fails(2, 'search', '--config', config)
        config.write_text('{"budget": {"bits": 4}}')
        self.fails(2, 'search', '--config', config)
        self.fails(2, 'search', '--config', self.dir / 'nothing.json')

    def test_lists_are_made_from_records(self):
        lists = self.json('list', keys=['lists'])['lists']
        for kind in ('ranges', 'scores', 'solvers', 'formats', 'optimizers', 'exports', 'targets', 'metrics', 'readers'):
            self.assertTrue(lists[kind], kind)
        ops = {row['name'] for row in self.json('list', 'ops')['lists']['ops']}
        self.assertTrue({'Conv', 'Gemm', 'Add', 'QuantizeLinear'} <= ops)
        self.assertIn('Conv', self.ok('list', 'ops').stdout)
