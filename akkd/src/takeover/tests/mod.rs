mod acting;
mod confirming;
mod ending;
mod planning;
