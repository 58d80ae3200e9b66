"""What ARTIQ's master gives to an experiment and no device_db names, beside the scheduler: `ccb`."""

import logging
from typing import Any

logger = logging.getLogger(__name__)


class CCB:
    """The client broadcast, with no client to listen."""

    def issue(self, service: str, *args: Any, **keywords: Any) -> None:
        """Log what a dashboard would be told."""
        logger.info("ccb %s %s %s", service, args, keywords)
