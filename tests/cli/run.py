#!/usr/bin/env python3
"""Transcripts of the program on the bundled model: exit codes, JSON keys, gates, determinism, atomicity.

The program is named by $QTOOL. Standard library only.
"""
import sys
import unittest

if __name__ == '__main__':
    sys.dont_write_bytecode = True  # beside the sources
    tests = unittest.defaultTestLoader.loadTestsFromNames(['calling', 'stages', 'exit_codes'])
    sys.exit(0 if unittest.TextTestRunner().run(tests).wasSuccessful() else 1)
