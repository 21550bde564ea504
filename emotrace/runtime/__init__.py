"""Tools for every job: log, errors, full disks, parallel work, workers."""
