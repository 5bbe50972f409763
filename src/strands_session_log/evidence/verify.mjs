// The same as verify.py, for Node and browsers.
