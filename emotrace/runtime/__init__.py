"""What every job does: log, errors, full disks, parallel work, workers."""
