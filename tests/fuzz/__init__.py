"""Fuzzing of whatever reads bytes from clients and backends.

targets       what must hold for any bytes, a function for each parser
seeds         what a run begins with: the tables of the tests
corpus/       inputs that found a way through the code which no seed finds; runs add to them
test_targets  every target with every seed and the corpus, in the suite
one           one target under libFuzzer, by atheris
__main__      all of them, in turn: `python -m tests.fuzz`, as `make sanitize` does
"""
