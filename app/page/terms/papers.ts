// Where the papers are that methods name.

const papers: Readonly<Record<string, string>> = {
  'Zhou 2016': 'https://arxiv.org/abs/1512.04150',
  'Selvaraju 2017': 'https://arxiv.org/abs/1610.02391',
  'Chattopadhay 2018': 'https://arxiv.org/abs/1710.11063',
  'Desai 2020': 'https://doi.org/10.1109/WACV45572.2020.9093360',
  'Wang 2020': 'https://arxiv.org/abs/1910.01279',
  'Muhammad 2020': 'https://arxiv.org/abs/2008.00299',
  'Draelos 2020': 'https://arxiv.org/abs/2011.08891',
  'Fu 2020': 'https://arxiv.org/abs/2008.02312',
  'Jiang 2021': 'https://doi.org/10.1109/TIP.2021.3089943',
  'Gildenblat 2021': 'https://github.com/jacobgil/pytorch-grad-cam',
  'Belharbi 2022': 'https://arxiv.org/abs/2109.07069',
  'Byun 2022': 'https://arxiv.org/abs/2209.14074',
  'Zeiler 2014': 'https://arxiv.org/abs/1311.2901',
  'Sundararajan 2017': 'https://arxiv.org/abs/1703.01365',
  'Achtibat 2024': 'https://arxiv.org/abs/2402.05602',
  'Cai 2025': 'https://arxiv.org/abs/2501.06261',
  'Chefer 2021': 'https://arxiv.org/abs/2103.15679',
  'Collins 2018': 'https://arxiv.org/abs/1806.10206',
  'Petsiuk 2018': 'https://arxiv.org/abs/1806.07421',
  'Shapley 1953': 'https://doi.org/10.1515/9781400881970-018',
  'Springenberg 2015': 'https://arxiv.org/abs/1412.6806',
  'Srinivas 2019': 'https://arxiv.org/abs/1905.00780',
};

/** The address of what a method names as its paper; undefined of a method that has none. */
export const paperOf = (paper: string): string | undefined => papers[paper.replace(/^after /, '')];
