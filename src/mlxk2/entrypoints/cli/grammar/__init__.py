"""What every command can be told: one module a command, with DESCRIPTION and add_arguments.

They import argparse and lists of words only, since completion, man page and help stand on them.
"""
