module tokenshield/lab/programs/pause

go 1.25.0
