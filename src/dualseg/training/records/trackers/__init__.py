"""Where a run can be watched beside `metrics.jsonl`, one service a file."""
