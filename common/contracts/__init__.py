"""What crosses process borders: pure data, standard library and msgspec only."""
