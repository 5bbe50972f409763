"""For tests of this library and of what is built on it: a local model, pytest fixtures, the contract suite.

Import the parts by module: `testing.model` needs Strands, `testing.contract` needs pytest.
"""
