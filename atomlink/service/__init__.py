"""The service `atomlink serve`: a queue over one or several labs, with its interfaces for HPC sites.

    api, warden     requests -> checked calls            client       the commands submit, jobs, cancel, result, logs
    dispatch        which job is next, on which lab      worker       one job in a process of its own: `atomlink run`
    store, steps    jobs, sessions, audit in SQLite      local        a lab of this machine, and its workers
    identity        who asks: tokens, MUNGE              copies       backup and restore of the database
    streams         logs and events of a job             config       the file of `--config`, checked

What it promises: docs/service.md and docs/threat-model.md.
"""
