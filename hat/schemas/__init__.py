"""What every JSON artifact holds, one subject a module; :mod:`hat.schemas.catalogue` says which file is which."""
