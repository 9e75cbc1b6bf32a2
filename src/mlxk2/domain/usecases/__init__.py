"""What the program does for a user, one file each; ports come in as constructor arguments."""
