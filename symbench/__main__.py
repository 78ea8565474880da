"""``python -m symbench``."""

from symbench.face.cli import main

if __name__ == "__main__":
    main()
