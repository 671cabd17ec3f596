"""Networks as CTranslate2 models."""
