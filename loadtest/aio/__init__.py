"""What knows processes, sockets and the clock."""
