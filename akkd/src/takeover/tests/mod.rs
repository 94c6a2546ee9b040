mod acting;
mod confirming;
mod ending;
mod ending_crashed;
mod planning;
mod terminal;
