#!/usr/bin/env python3
"""The rules of the source tree that no compiler checks. Prints one line per violation; exit code 1 if there is one.

usage: check.py [ROOT]      (default: the tree that this file is in)

layers     a file includes only its own layer and those that its layer reaches by the qtool_layer calls of CMakeLists.txt
packages   a third-party header is included only where PACKAGES says
lengths    C++ files have at most 500 lines, tests 700
op types   outside OP_TYPE_LAYERS nothing compares an op type with a literal: ask the operator's record
words      no absolute path of somebody's machine, nothing left for later
"""
import re
import subprocess
import sys
from pathlib import Path

# Third-party headers -> where they may be included (regular expressions; paths from the root, tests are free).
PACKAGES = [
    (r'onnx/.*\.h|google/protobuf/.*', r'src/onnx/'),
    (r'dnnl.*|oneapi/.*|omp\.h', r'src/exec/'),
    (r'stb/.*|stb_.*|zip\.h|zlib\.h|jpeglib\.h', r'src/data/'),
    (r'nlohmann/.*', r'src/base/|.*_json\.cpp'),
    (r'spdlog/.*|fmt/.*', r'src/base/'),
    (r'CLI/.*', r'tools/qtool/'),
]
OP_TYPE_LAYERS = {'ops', 'passes', 'exec', 'onnx'}
MAX_LINES, MAX_TEST_LINES = 500, 700
TEXT_SUFFIXES = {'.cpp', '.hpp', '.h', '.py', '.sh', '.cmake', '.in', '.txt', '.md', '.json', '.yml', '.yaml', ''}

INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]+)[>"]')
OP_NAME = r'"(?:[A-Z]\w*[a-z]\w*|LSTM|GRU|RNN|LRN|DFT|STFT)"'
OP_TYPE = re.compile(rf'\b\w*(?:type|op)_?(?:\(\))?\s*[!=]=\s*{OP_NAME}|{OP_NAME}\s*[!=]=\s*[\w.>()-]*(?:type|op)_?\b'
                     rf'|\bis\([^()"]*(?:\([^()]*\)[^()"]*)?,\s*{OP_NAME}')
QDQ_NAME = re.compile(r'"(?:Quantize|Dequantize)Linear"')   # what the quantize layer inserts and checks
MACHINE_PATH = re.compile(r'(?<![\w.$}/~-])/(?:work|root|home|farm|Users)/')
LEFT_FOR_LATER = re.compile(r'\b(?:TOD[O]|FIXM[E])\b')


def read_layers(cmake_text):
    """{layer: direct dependencies} from the qtool_layer(<name> DEPS ...) calls."""
    layers = {}
    for call in re.findall(r'^qtool_layer\(([^)]*)\)', cmake_text, re.M):
        name, *words = call.split()
        groups, key = {}, ''
        for word in words:
            if word in ('DEPS', 'THIRD_PARTY', 'TESTS'):
                key = word
            else:
                groups.setdefault(key, []).append(word)
        layers[name] = groups.get('DEPS', [])
    return layers


def reachable(layers):
    """({layer: all layers it may include}, violations): a dependency must stand above its user, so there is no cycle."""
    reach, errors = {}, []
    for name, deps in layers.items():
        reach[name] = {name}
        for dep in deps:
            if dep in reach:
                reach[name] |= reach[dep]
            else:
                errors.append(f'CMakeLists.txt: layer {name} depends on {dep}, which does not stand above it')
    return reach, errors


def tracked_files(root):
    """All files of the project, new ones too; without git, all outside build folders."""
    git = subprocess.run(['git', '-C', str(root), 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
                         capture_output=True, check=False)
    if git.returncode == 0:
        names = {n for n in git.stdout.decode().split('\0') if n}
    else:
        names = {str(p.relative_to(root)) for p in root.rglob('*')}
        names = {n for n in names if not n.startswith(('build/', '.'))}
    return sorted(n for n in names if (root / n).is_file())


class Checker:
    def __init__(self, root):
        self.root = root
        self.layers = read_layers((root / 'CMakeLists.txt').read_text())
        self.reach, self.errors = reachable(self.layers)
        self.counts = {'files': 0, 'includes': 0}
        if not self.layers:
            self.errors.append('CMakeLists.txt: no qtool_layer call found')

    def run(self):
        for name in tracked_files(self.root):
            path = Path(name)
            if path.suffix not in TEXT_SUFFIXES:
                continue
            try:
                lines = (self.root / path).read_text(encoding='utf-8').splitlines()
            except (UnicodeDecodeError, FileNotFoundError):
                continue  # not text, or removed meanwhile
            self.counts['files'] += 1
            self.check_words(path, lines)
            if path.suffix in ('.cpp', '.hpp', '.h'):
                self.check_length(path, lines)
                if path.parts[0] in ('src', 'include', 'tools'):
                    self.check_code(path, lines)
        return self.errors

    def error(self, path, number, text):
        self.errors.append(f'{path}:{number}: {text}')

    def check_words(self, path, lines):
        for number, line in enumerate(lines, 1):
            if MACHINE_PATH.search(line):
                self.error(path, number, 'an absolute path of one machine')
            if LEFT_FOR_LATER.search(line):
                self.error(path, number, 'something left for later: do it, or open an issue')

    def check_length(self, path, lines):
        limit = MAX_TEST_LINES if path.parts[0] == 'tests' else MAX_LINES
        if len(lines) > limit:
            self.error(path, len(lines), f'{len(lines)} lines, at most {limit} allowed')

    def check_code(self, path, lines):
        layer = self.layer_of(path)
        if path.parts[0] != 'tools' and layer is None:
            self.error(path, 1, 'belongs to no layer of CMakeLists.txt')
            return
        for number, line in enumerate(lines, 1):
            if match := INCLUDE.match(line):
                self.counts['includes'] += 1
                self.check_include(path, number, layer, *match.groups())
            elif layer not in OP_TYPE_LAYERS and OP_TYPE.search(QDQ_NAME.sub('""', line.split('//')[0]) if layer == 'quantize' else line.split('//')[0]):
                self.error(path, number, 'compares an op type with a literal: ask its OpDef instead')

    def layer_of(self, path):
        """The layer of src/<layer>/... and include/qtool/<layer>.hpp; of any other public header what its first line
        says: `(layer <name>)`. Else None."""
        parts = path.parts
        if parts[0] == 'src' and len(parts) > 2 and parts[1] in self.layers:
            return parts[1]
        if parts[:2] == ('include', 'qtool'):
            name = path.stem
            if name not in self.layers and (self.root / path).is_file():
                first_line = (self.root / path).read_text(encoding='utf-8').partition('\n')[0]
                name = (re.findall(r'\(layer (\w+)\)', first_line) or [None])[0]
            return name if name in self.layers else None
        return None

    def check_include(self, path, number, layer, quote, target):
        for pattern, allowed in PACKAGES:
            if re.fullmatch(pattern, target) and not (self.root / 'src' / target).exists():
                if not re.match(allowed, path.as_posix()):
                    self.error(path, number, f'{target} may be included only in {allowed}')
                return
        if quote == '"' and (self.root / path.parent / target).exists():
            return  # a neighbour
        owner = self.layer_of(Path('include' if target.startswith('qtool/') else 'src') / target)
        if path.parts[0] == 'tools':
            if owner and not target.startswith('qtool/'):
                self.error(path, number, f'{target} is private: the program includes public headers only')
        elif owner and owner not in self.reach[layer]:
            self.error(path, number, f'layer {layer} may not include {target} of layer {owner}')
        elif path.parts[0] == 'include' and quote == '"' and not target.startswith('qtool/'):
            self.error(path, number, f'{target} is private: a public header includes public headers only')


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parents[2])
    checker = Checker(root)
    errors = checker.run()
    print(*errors, sep='\n', end='\n' if errors else '')
    print(f"{len(errors)} violations in {checker.counts['files']} files, "
          f"{checker.counts['includes']} includes, {len(checker.layers)} layers")
    return 1 if errors else 0


if __name__ == '__main__':
    sys.exit(main())
