"""Networks as files of other runtimes, the gate they pass before they are kept, and their use."""
