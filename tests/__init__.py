"""The test suite: one folder an app, factories, journeys in a browser, drills."""
