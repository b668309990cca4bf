"""Render an assessment and its verdict; a reporter decides nothing."""
