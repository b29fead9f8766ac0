"""Entry point of `python -m slack_emulator`."""

from slack_emulator.cli import main

if __name__ == "__main__":
    main()
