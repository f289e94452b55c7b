"""Many runs -> processes, on this machine or on others."""
