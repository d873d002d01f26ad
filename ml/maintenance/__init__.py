"""What an installation needs regularly: verified ledgers, old data removed by retention, room, certificates, a report.

Each step (`ml.pipeline.UPKEEP`) is a process of its own with the S3 user of one role. A step that was killed goes on when it
is run again, and a step that finds nothing to do changes nothing.
"""
