"""Alert budgets and backtests: what limits cost in false alarms, and how soon they tell."""
