"""What a chat shows: styled text, Markdown that grows, and the rows of the screen that it is drawn on."""
