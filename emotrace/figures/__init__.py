"""Figures for looking and for print: drawing only, from plain arrays."""
