"""The code behind ``errors``: faults of a call, forbidden states, failed system calls."""
