"""Where images come from: files, arrays, libraries, and the cache of their pixels."""
