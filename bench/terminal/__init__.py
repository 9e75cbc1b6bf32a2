"""What somebody at a terminal waits for."""
