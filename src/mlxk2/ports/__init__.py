"""The ground floor: plain records, errors and protocols that cross the program's boundary.

Nothing here does I/O or knows a framework; domain and adapters both stand on it.
"""
