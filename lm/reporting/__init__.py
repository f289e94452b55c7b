"""Many run folders become one table and two figures."""
