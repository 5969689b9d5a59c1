"""The outside parties of the portal, played over real HTTP on this machine.

Written from the parties' specifications alone: it imports no desk and no `core`, and keeps its
state and its log in a file of its own. Never part of a live installation.
"""
