"""Which pixels an output rests on; used by the export and by the inspect page."""
