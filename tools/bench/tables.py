"""What the tables of this folder share: running qtool, and columns of text."""
import subprocess
import sys


def run(*command):
    r = subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if r.returncode:
        sys.exit(f'{" ".join(map(str, command))}\n{r.stderr.strip()}')
    return r.stdout


def quality(evaluation):
    top1 = evaluation.get('top1')
    return [f"{evaluation['sqnr_db']:.2f} dB", f"{100 * evaluation['agreement']:.2f} %", f'{100 * top1:.2f} %' if top1 is not None else '-']


def show(rows):
    widths = [max(len(r[c]) for r in rows) for c in range(len(rows[0]))]
    for r in rows:
        print('  '.join(cell.ljust(width) for cell, width in zip(r, widths)).rstrip(), flush=True)
    print()
