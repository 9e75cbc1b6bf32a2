"""The ground floor: plain records, errors and protocols that cross the program's boundary.

Nothing here does I/O or knows a framework; domain and adapters both stand on it.

Records are frozen. Those that a short command defines are named tuples, which takes an eighth of a dataclass's half
millisecond; what differs by nothing but its class is a dataclass all the same, since two tuples would be equal.
"""
