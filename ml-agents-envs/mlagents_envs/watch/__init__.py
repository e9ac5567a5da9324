"""Looking at example environments: a live page in the browser, and pictures."""
