"""`python -m app` has the commands of `orderflow` but `mcp`, also where no script is installed."""

from app.cli import main

if __name__ == "__main__":
    main()
