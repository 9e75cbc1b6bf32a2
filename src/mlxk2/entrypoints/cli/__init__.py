"""The command line: parser, commands, JSON envelopes and human output."""
