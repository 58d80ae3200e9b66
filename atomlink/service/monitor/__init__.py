"""The monitor: pages that show what a lab is, believes and does, read-only, without a build step or anything from afar.

    look        a process that reads the lab's files: network, beliefs, calibrations, arrays, runs -> JSON
    looker      keeps that process while somebody looks
    live        a run's broadcast datasets -> a file, or memory -> plots
    source      what is asked of whoever runs experiments: the service, or one plain run (alone)
    markup      elements, the only way to HTML here: every text in them is escaped
    drawings    network, calibration graph, arrays -> SVG
    panels      the parts of the page
    pages       the calls, and who sees what

The service never imports a lab's code: `look` does, in a process of its own. Page and charts: static/, from which
htmx fetches the panels again and again and uPlot draws curves; both are files here, with their licences.
"""
