"""The figures, one subject a module; each returns a :class:`hat.report.style.Drawing`."""
