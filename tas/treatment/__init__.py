"""What callers hear and press before anybody answers: menus and the echo test."""
