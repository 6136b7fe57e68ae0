"""What the Python tests share: import as `support.<module>` (tests/ is on the path, see tests/pytest.ini)."""
