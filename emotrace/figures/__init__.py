"""Draw figures for screen and print from plain arrays; nothing is computed here."""
