"""`python -m app` is the command `orderflow`, also where no script was installed."""

from app.cli import main

main()
